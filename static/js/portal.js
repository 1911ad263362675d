"use strict";
// Everything works without this file. It adds: keys, times in the reader's zone, dialogs, the theme.
(() => {
  const root = document.documentElement;
  root.classList.add("has-js");

  // Times: relative text stays true while the page is open; the title gives the reader's own clock.
  const here = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const utc = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" });
  const span = (seconds) => {
    const s = Math.abs(seconds);
    if (s < 60) return `${Math.floor(s)}\u00a0s`;
    if (s < 3600) return `${Math.floor(s / 60)}\u00a0min`;
    if (s < 172800) return `${Math.floor(s / 3600)}\u00a0h${s < 36000 && s % 3600 >= 60 ? ` ${Math.floor((s % 3600) / 60)}\u00a0min` : ""}`;
    return `${Math.floor(s / 86400)} days`;
  };
  const words = { // how each data-relative reads before and after its moment
    ago: (s) => (s < 0 ? `in ${span(s)}` : s < 5 ? "just now" : `${span(s)} ago`),
    until: (s) => (s <= 0 ? `in ${span(s)}` : `${span(s)} overdue`),
    for: (s) => span(s),
  };
  const tick = (scope) => {
    for (const el of scope.querySelectorAll("time[datetime]")) {
      const at = new Date(el.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      if (!el.dataset.titled) {
        const own = zone === "UTC" ? "" : `${here.format(at)} in ${zone.replaceAll("_", " ")} · `;
        el.title = `${own}${utc.format(at)} UTC`;
        el.dataset.titled = "1";
      }
      const say = words[el.dataset.relative];
      if (say) el.textContent = say((Date.now() - at) / 1000);
    }
  };

  // Say something politely to screen readers, once.
  const say = (text) => {
    const live = document.getElementById("live");
    if (live) live.textContent = text;
  };

  // Dialogs open by [data-opens=id]; the link's own address is the way without JavaScript.
  const opens = (event) => {
    const dialog = document.getElementById(event.target.closest("[data-opens]")?.dataset.opens ?? "");
    if (!(dialog instanceof HTMLDialogElement)) return;
    event.preventDefault();
    dialog.showModal();
  };

  const theme = (choice) => {
    if (choice === "system") delete root.dataset.theme;
    else root.dataset.theme = choice;
    const age = choice === "system" ? 0 : 31536000;
    document.cookie = `theme=${choice}; path=/; max-age=${age}; samesite=lax`;
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === choice));
    }
  };

  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    opens(event);
    const choice = event.target.closest("[data-theme-choice]");
    if (choice) theme(choice.dataset.themeChoice);
    const copy = event.target.closest("[data-copies]");
    if (copy) {
      const source = document.getElementById(copy.dataset.copies);
      navigator.clipboard?.writeText(source?.textContent ?? "").then(() => {
        copy.textContent = "Copied";
        say("Copied");
      });
    }
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });

  const typing = (el) => el instanceof HTMLElement && (el.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(el.tagName));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      for (const menu of document.querySelectorAll("details.menu[open]")) {
        menu.open = false;
        menu.querySelector("summary")?.focus();
      }
    }
    if ((event.ctrlKey || event.metaKey) && event.key === "k" && !document.querySelector("dialog[open]")) return command(event);
    if (typing(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      const field = [...document.querySelectorAll("[data-search]")].find((el) => el.checkVisibility());
      if (!field) return document.querySelector(".search-link")?.click();
      event.preventDefault();
      field.focus();
      field.select();
    } else if (event.key === ":") {
      command(event);
    } else if (event.key === "?") {
      document.querySelector("dialog#help:not([open])")?.showModal();
    }
  });

  // The command bar: typing narrows the links, arrows walk them, Enter follows the first or searches.
  const bar = document.querySelector("[data-commands]");
  const command = (event) => {
    if (!bar || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    bar.showModal();
    narrow();
  };
  const shown = () => [...bar.querySelectorAll("li:not([hidden]) a")];
  const narrow = () => {
    const words = bar.querySelector("input").value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const item of bar.querySelectorAll("li")) {
      const text = item.textContent.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
      item.classList.remove("first");
    }
    if (words.length) shown()[0]?.parentElement.classList.add("first");
    bar.querySelector(".commands-none").hidden = shown().length > 0;
  };
  bar?.addEventListener("input", narrow);
  bar?.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const stops = [bar.querySelector("input"), ...shown()];
    stops.at((stops.indexOf(document.activeElement) + step) % stops.length).focus();
  });
  bar?.addEventListener("submit", (event) => {
    const first = bar.querySelector("li.first a");
    if (!first) return;
    event.preventDefault();
    first.click();
  });

  // A form is sent once: a second press while the first is on its way does nothing.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post" || form.hasAttribute("hx-post")) return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "1";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });

  // htmx swaps: times in the new piece, and what to say about it.
  document.addEventListener("htmx:load", (event) => tick(event.target));
  document.addEventListener("htmx:afterSwap", (event) => {
    const words = event.target.dataset?.announce;
    if (words) say(words);
  });

  theme(root.dataset.theme ?? "system");
  tick(document);
  document.querySelector('main [aria-invalid="true"]')?.focus(); // a form came back: to what was refused
  setInterval(() => document.hidden || tick(document), 15000);
})();
