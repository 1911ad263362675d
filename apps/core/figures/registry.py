"""What there is to bench, drill and evaluate: each app registers its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.utils.module_loading import autodiscover_modules

from apps.core.figures.rows import BenchRow, DrillStep, EvaluationRow, Row

R_co = TypeVar("R_co", bound=Row, covariant=True)
R = TypeVar("R", bound=Row)
F = TypeVar("F", bound=Callable[..., Iterator[Any]])


class BadOptionError(ValueError):
    """An option has a value that it cannot take."""


@dataclass(frozen=True)
class Option:
    """An option of one entry, given to its function as a keyword (`--max-age` as `max_age`).

    `quick` is the default under --quick. A `bool` option is a switch that is off by default.
    """

    flag: str
    type: Callable[[str], Any]
    default: Any
    help: str
    quick: Any = None

    @property
    def name(self) -> str:
        """The keyword argument."""
        return self.flag.removeprefix("--").replace("-", "_")

    def value(self, given: object, *, quick: bool) -> Any:
        """Return what the function gets when `given` was typed (None: nothing was)."""
        if given is None:
            return self.quick if quick and self.quick is not None else self.default
        if self.type is bool or not isinstance(given, str):
            return given
        try:
            value = self.type(given)
        except (ValueError, ArithmeticError) as error:
            raise BadOptionError(f"{self.flag} {given}: {error}") from error
        if self.type is int and value < 1:
            raise BadOptionError(f"{self.flag} {given}: must be 1 or more")
        return value


@dataclass(frozen=True)
class Entry(Generic[R_co]):
    """One named figure: a generator function of rows and its options (`seed`, `quick` are given)."""

    name: str
    help: str
    function: Callable[..., Iterator[R_co]]
    options: tuple[Option, ...] = ()

    def run(self, given: Mapping[str, object], *, seed: int, quick: bool) -> Iterator[R_co]:
        """Yield the rows. Raises BadOptionError before the first one."""
        values = {
            option.name: option.value(given.get(option.name), quick=quick)
            for option in self.options
        }
        return self.function(**values, seed=seed, quick=quick)


class Registry(Generic[R]):
    """The entries of one verb, found in the module `module` of every app."""

    def __init__(self, module: str) -> None:
        self.module = module
        self._entries: dict[str, Entry[R]] = {}

    def entries(self) -> dict[str, Entry[R]]:
        """Return all entries by name, in the order of their names."""
        autodiscover_modules(self.module)
        return dict(sorted(self._entries.items()))

    def add(
        self,
        name: str,
        *,
        help: str,  # noqa: A002  (the word that argparse uses)
        options: Sequence[Option | tuple[Any, ...]] = (),
    ) -> Callable[[F], F]:
        """Return a decorator that registers a generator function under `name`.

        An option may be a tuple (flag, type, default, help[, quick]). Raises ValueError for a
        name that is taken.
        """
        parsed = tuple(
            option if isinstance(option, Option) else Option(*option) for option in options
        )

        def register(function: F) -> F:
            taken = self._entries.get(name)
            if taken is not None and taken.function.__qualname__ != function.__qualname__:
                raise ValueError(f"{name!r} is registered twice in {self.module}")
            self._entries[name] = Entry(name, help, function, parsed)
            return function

        return register

    def remove(self, name: str) -> None:
        """Forget an entry (for tests)."""
        self._entries.pop(name, None)


BENCHES: Registry[BenchRow] = Registry("benches")
DRILLS: Registry[DrillStep] = Registry("drills")
EVALUATIONS: Registry[EvaluationRow] = Registry("evaluations")

bench = BENCHES.add
drill = DRILLS.add
evaluation = EVALUATIONS.add
