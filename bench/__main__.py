"""Run the benchmarks that are named, or all: ``python -m bench [NAME ...]``."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from bench import cluster, grid, history, keystrokes, local, page, panel, scale, start, stream, tools, turn, visitors
from bench.report import Result, table, write
from bench.surroundings import nothing_left_behind, of_its_own

BENCHMARKS = {
    "start": start.run,
    "turn": turn.run,
    "tools": tools.run,
    "stream": stream.run,
    "page": page.run,
    "keystrokes": keystrokes.run,
    "panel": panel.run,
    "scale": scale.run,
    "grid": grid.run,
    "cluster": cluster.run,
    "local": local.run,
    "history": history.run,
    "visitors": visitors.run,
}
RESULTS = Path(__file__).with_name("results")


def main() -> None:
    """Run, print and store."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}: choose from {', '.join(BENCHMARKS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # what a benchmark has started ends with it
    results: list[Result] = []
    with of_its_own() as mark, nothing_left_behind(mark):
        for name in names:
            print(f"{name} …", file=sys.stderr, flush=True)
            found = BENCHMARKS[name]()
            write(RESULTS / f"{name}.json", found)
            results += found
    print(table(results))


if __name__ == "__main__":
    main()
