"""The graph of jobs in memory: what waits for what, what is ready, what was spawned.

The order is jobflow's: a job is ready when all jobs that it refers to are finished, with everything
that replaced them or that they detoured to. The table of jobs is written before memory changes, so
that a graph made anew from it goes on where this one was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from workflows.execution.jobs import (
    FINISHED,
    UNFINISHED,
    JobRow,
    JobState,
    JobTable,
    Key,
    Outcome,
)


@dataclass(eq=False, slots=True)
class Node:
    """A job in memory: what it waits for and what waits for it."""

    row: JobRow
    state: JobState
    spawner: Node | None
    depth: int = 0
    n_blockers: int = 0
    n_open_spawned: int = 0
    closed: bool = False
    waiters: list[Node] = field(default_factory=list)


class Graph:
    """The jobs of one run.

    Args:
        table: job states.
        run: number of the run, which spawned jobs become part of.
        on_ready: told of every job that nothing keeps from being started.
        on_change: told of every change of a job; the second argument says whether it was finished
            before.
    """

    def __init__(
        self,
        table: JobTable,
        run: int,
        on_ready: Callable[[Node], None],
        on_change: Callable[[Node, bool], None],
    ) -> None:
        self._table = table
        self._run = run
        self._on_ready = on_ready
        self._on_change = on_change
        self._nodes: dict[str, Node] = {}
        self._by_key: dict[Key, Node] = {}
        self._errored: set[str] = set()
        self._stopped: set[str] = set()
        self.is_stopped = False
        self.n_open = self.n_reused = self.n_failed = 0

    def add(self, rows: list[JobRow], spawner: Node | None = None) -> None:
        """Take jobs into the graph; finished ones bring along what they had spawned."""
        batches = [(rows, spawner)]
        while batches:
            rows, spawner = batches.pop()
            ancestors = _ancestors(spawner)
            depth = spawner.depth + 1 if spawner else 0
            nodes = [Node(row, "waiting", spawner, depth) for row in rows]
            for node in nodes:
                self._nodes.setdefault(node.row.uuid, node)
                self._by_key.setdefault(node.row.key, node)
                if spawner is not None and node.row.spawn_kind != "addition":
                    spawner.n_open_spawned += 1
            self.n_open += len(nodes)
            for node in nodes:
                for uuid in node.row.parents:
                    parent = self._nodes.get(uuid)
                    if parent is not None and not parent.closed and parent not in ancestors:
                        parent.waiters.append(node)
                        node.n_blockers += 1
            for node in nodes:
                if node.row.state in FINISHED:
                    self.n_reused += 1
                    batches.append((self._settle(node, was_finished=True), node))
                    continue
                node.state = node.row.state
                self._on_change(node, False)
                if node.n_blockers == 0 and node.state == "waiting":
                    self._on_ready(node)
            if spawner is not None:
                self._close(spawner)

    def get(self, key: Key) -> Node | None:
        """A job by its key; None where it is no part of this run."""
        return self._by_key.get(key)

    def waiting(self) -> Iterator[Node]:
        """All jobs that wait."""
        return (node for node in self._by_key.values() if node.state == "waiting")

    def finish(self, key: Key, outcome: Outcome) -> None:
        """Take note of what came of a job; of one in no graph now, the table does."""
        node = self._by_key.get(key)
        if node is None:
            if self._table.state(key) in UNFINISHED:
                self._table.finish(key, outcome, time.time())
        elif node.state not in FINISHED:
            self._table.finish(key, outcome, time.time())
            node.row = replace(self._table.row(key), spawn_kind=node.row.spawn_kind)
            self.add(self._settle(node), node)

    def put_back(self, key: Key) -> None:
        """A job that was started is to be started again."""
        node = self._by_key.get(key)
        if (self._table.state(key) if node is None else node.state) not in ("queued", "running"):
            return
        self._table.wait_again([key])
        if node is not None:
            self.move([node], "waiting")
            self._on_ready(node)

    def reason_to_skip(self, node: Node) -> Outcome | None:
        """Why a ready job is not run, as the outcome that it gets instead."""
        parents = set(node.row.parents)
        if parents & self._stopped:
            return Outcome("skipped", stop_children=True, message="a job before it said stop")
        if parents & self._errored and node.row.on_missing == "error":
            return Outcome("skipped", lost=True, message="a job that it needs failed")
        return None

    def skip_waiting(self) -> None:
        """After a job stopped the whole flow, nothing that waits will run."""
        for node in self.waiting():
            outcome = Outcome("skipped", message="a job before it stopped the flow")
            self._table.finish(node.row.key, outcome, time.time())

    def move(self, nodes: Iterable[Node], state: JobState) -> None:
        """Note in memory that jobs changed their state without being finished."""
        for node in nodes:
            node.state = state
            self._on_change(node, False)

    def _settle(self, node: Node, was_finished: bool = False) -> list[JobRow]:
        """Take note that a job is finished; the jobs that it spawned."""
        row = node.row
        node.state = row.state
        self.n_open -= 1
        self.n_failed += row.state == "failed"
        if row.lost:
            self._errored.add(row.uuid)
        if row.stop_children:
            self._stopped.add(row.uuid)
        self.is_stopped = self.is_stopped or row.stop_flow
        self._on_change(node, was_finished)
        return [] if row.stop_flow else self._table.claim_spawned(row.key, self._run)

    def _close(self, node: Node) -> None:
        """Release what waits for `node` once it and all that it spawned are finished."""
        while node.state in FINISHED and not node.n_open_spawned and not node.closed:
            node.closed = True
            for waiter in node.waiters:
                waiter.n_blockers -= 1
                if waiter.n_blockers == 0 and waiter.state == "waiting":
                    self._on_ready(waiter)
            if node.spawner is None or node.row.spawn_kind == "addition":
                break
            node.spawner.n_open_spawned -= 1
            node = node.spawner


def _ancestors(node: Node | None) -> set[Node]:
    found = set()
    while node is not None:
        found.add(node)
        node = node.spawner
    return found
