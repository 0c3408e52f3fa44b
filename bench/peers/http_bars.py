"""The bars of hosts over one server, against as many that ask the database themselves."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from .agents import DIRECT, KINDS, LATENCY, NAME, SERVED
from .bar import Bar, Said

if TYPE_CHECKING:
    from .book import Book


def _served(book: Book, kind: str, figure: str) -> list[float]:
    return book.series(NAME, f"{kind}_{figure}", SERVED)


def _direct(book: Book, kind: str, figure: str) -> list[float]:
    return book.series(NAME, f"{kind}_{figure}", DIRECT)


def _database(book: Book, which: int) -> Said:
    """CPU of the database by the job, of the most agents by so many on direct SQL."""
    found = {
        kind: _served(book, kind, "database")[-1] / _direct(book, kind, "database")[which]
        for kind in KINDS
    }
    return Said(max(found.values()), _of_kinds(found))


def _transactions(book: Book) -> Said:
    found = [each / 1000 for each in _served(book, "sleep", "transactions")]
    return Said(max(found), ", ".join(f"{each:.2f}" for each in found))


def _falling(book: Book) -> Said:
    """The largest of: so many agents by the number before."""
    found = _served(book, "sleep", "transactions")
    return Said(max(after / before for before, after in pairwise(found)))


def _connections(book: Book) -> Said:
    return Said(max(max(_served(book, kind, "connections")) for kind in KINDS))


def _more_connections(book: Book) -> Said:
    """Those of the most agents by those of one."""
    last, one = (
        max(_served(book, kind, "connections")[which] for kind in KINDS) for which in (-1, 0)
    )
    direct = max(_direct(book, kind, "connections")[-1] for kind in KINDS)
    return Said(last / one, f"{last:.0f} / {one:.0f}; directly {direct:.0f}")


def _latency(book: Book) -> Said:
    served, direct = (book.figure(LATENCY, "p50", system) for system in (SERVED, DIRECT))
    return Said(served - direct, f"{served:.2f} - {direct:.2f}")


def _noop(book: Book) -> Said:
    served, direct = _served(book, "noop", "rate")[0], _direct(book, "noop", "rate")[0]
    return Said(served / direct, f"{served:,.0f} / {direct:,.0f}")


def _of_kinds(found: dict[str, float]) -> str:
    return ", ".join(f"{KINDS[kind].title}: {each:.2f}" for kind, each in found.items())


HTTP_BARS = (
    Bar("http-cpu-one", "CPU of the database a job, 20 agents over HTTP / 1 on SQL", "<=", 1.2,
        lambda book: _database(book, 0)),
    Bar("http-cpu-twenty", "the same / 20 on SQL", "<", 1, lambda book: _database(book, -1)),
    Bar("http-transactions", "over HTTP, 300 to 700 ms: transactions a job while busy", "<=", 1.2,
        _transactions),
    Bar("http-transactions-falling", "the same, each number of agents / the one before", "<", 1,
        _falling),
    Bar("http-latency", "idle latency p50, ms: over HTTP - directly", "<=", 1, _latency),
    Bar("http-noop", "no-op jobs/s of one agent: over HTTP / directly", ">=", 0.8, _noop),
    Bar("http-connections", "connections of one server to the database, at most", "<=", 4,
        _connections, ".0f"),
    Bar("http-connections-constant", "the same, 20 agents / one", "<=", 1, _more_connections),
)  # fmt: skip
