"""What is in a page: its forms with their fields, and its elements."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any


@dataclass
class Form:
    action: str
    method: str
    fields: dict[str, list[str]] = field(default_factory=dict)


class Page(HTMLParser):
    """Reads a page as a browser does: what is inside <script>, <style> and quotes makes no elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self._name = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = {name: value or "" for name, value in attrs}
        self.elements.append((tag, given))
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get").lower()))
        name = given.get("name")
        if not self.forms or not name or name == "csrfmiddlewaretoken":
            if tag == "option" and self._name and "selected" in given:
                self.forms[-1].fields[self._name] = [given.get("value", "")]
            return
        fields = self.forms[-1].fields
        if tag == "select":
            self._name = name
            fields.setdefault(name, [])
        elif tag == "textarea":
            fields.setdefault(name, ["words"])
        elif tag in {"input", "button"}:
            fields.setdefault(name, []).append(given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._name = ""
