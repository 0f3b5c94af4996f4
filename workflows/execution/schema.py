"""The tables of a campaign's jobs in its SQLite file, and how older files get what they lack."""

from __future__ import annotations

import sqlite3

_TABLES = """
create table if not exists jobs (
    uuid text not null,
    idx integer not null,
    name text not null,
    stage text,
    candidate text,
    parents text not null,
    on_missing text not null,
    spec blob not null,
    run integer not null,
    state text not null,
    attempts integer not null default 0,
    started_at real,
    ended_at real,
    stop_children integer not null default 0,
    stop_flow integer not null default 0,
    lost integer not null default 0,
    stored_data text,
    code text,
    message text,
    log_tail text,
    n_atoms integer,     -- of the cell that is computed
    n_steps integer,     -- that were computed, once it is finished
    core_hours real,     -- that all attempts took
    primary key (uuid, idx)
);
create table if not exists spawned (
    spawner_uuid text not null,
    spawner_idx integer not null,
    position integer not null,
    kind text not null,
    uuid text not null,
    idx integer not null,
    primary key (spawner_uuid, spawner_idx, position)
);
create table if not exists runs (
    run integer primary key,
    campaign text not null,
    started_at real not null,
    ended_at real,
    config text not null,
    versions text not null
);
create table if not exists queue_jobs (
    uuid text primary key,       -- as jobflow-remote knows it
    stage text not null,
    worker text not null,
    n_cores integer not null,
    wall_time_h real,
    core_hours_promised real not null,
    sent_at real not null,
    queue_id text,               -- as the scheduler knows it
    run_dir text,
    started_at real,
    ended_at real,
    core_hours real,             -- cores times time, once it has ended
    state text not null,         -- sent, running, ended
    message text                 -- what is to be known of it now
);
create table if not exists queue_job_parts (
    queue_job text not null,
    uuid text not null,
    idx integer not null,
    primary key (uuid, idx, queue_job)
);
create table if not exists holds (stage text, candidate text, since real not null);
create table if not exists orders (
    number integer primary key,
    kind text not null,          -- pause, resume, cancel, retry
    stage text,
    candidate text,
    code text,
    given_at real not null,
    applied_at real,
    n_jobs integer
);
create table if not exists notes (name text primary key, text text not null, at real not null);
"""
_LATER_COLUMNS = {"n_atoms": "integer", "n_steps": "integer", "core_hours": "real"}
# Lists and counts read these alone, not the rows, which are specification for the most part. Files
# of an earlier version have them once somebody writes there, and are read without until then.
_INDEXES = """
drop index if exists jobs_run;
create index if not exists jobs_listed on jobs
    (run, stage, state, candidate, uuid, idx, code, attempts, started_at, ended_at, core_hours);
create index if not exists jobs_parts on jobs (run, stage, uuid, idx) where idx > 1;
"""


def ensure_tables(connection: sqlite3.Connection) -> None:
    """Make the tables, or add to those of an earlier version what they lack."""
    connection.executescript(_TABLES)
    for name in lacks_columns(connection):
        connection.execute(f"alter table jobs add column {name} {_LATER_COLUMNS[name]}")
    connection.executescript(_INDEXES)


def lacks_columns(connection: sqlite3.Connection) -> list[str]:
    """Columns that a table of jobs made by an earlier version has not got."""
    known = [name for _, name, *_ in connection.execute("pragma table_info(jobs)")]
    return [name for name in _LATER_COLUMNS if known and name not in known]
