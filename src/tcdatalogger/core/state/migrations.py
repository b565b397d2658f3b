"""The tables of the state as a list of releases; each release adds to the one before.

All tables are here, so a state of any former release is updated in one transaction.
"""

from __future__ import annotations

from typing import Final

from tcdatalogger.core.state.database import Database
from tcdatalogger.errors import ConfigError

_VERSION: Final = "create table if not exists state_version (version bigint not null)"

_FIRST: Final = """
create table if not exists runs (
    run_id text primary key, endpoint text not null, status text not null,
    started_at double precision not null, facts text not null
);
create index if not exists runs_by_endpoint on runs (endpoint, started_at);
create index if not exists runs_by_status on runs (status, endpoint);
create table if not exists keys (
    fingerprint text primary key, owner_id bigint not null, checked_at double precision not null,
    info text not null
);
create table if not exists calls (
    id text primary key, owner text not null, unknown bigint not null, rank bigint not null,
    asked_at double precision not null, at double precision not null, taken bigint not null
);
create index if not exists calls_by_owner on calls (owner, at);
create index if not exists calls_by_time on calls (at);
create index if not exists calls_unknown on calls (at) where unknown = 1;
create table if not exists holds (
    name text primary key, until double precision not null, code text not null
);
create table if not exists key_health (
    fingerprint text not null, health text not null, path text not null, code text not null,
    until double precision not null, since double precision not null, name text not null,
    primary key (fingerprint, path)
);
create table if not exists key_trials (
    fingerprint text primary key, until double precision not null
);
create table if not exists circuit (
    id bigint primary key check (id = 1), faults bigint not null, pause double precision not null,
    until double precision not null, probe_until double precision not null
);
create table if not exists day_rows (
    id text primary key, name text not null, at double precision not null, count bigint not null
);
create index if not exists day_rows_by_name on day_rows (name, at);
"""

_SECOND: Final = """
alter table runs add column place bigint not null default 0;
alter table runs add column token bigint;
create index if not exists runs_by_place on runs (place);
create index if not exists runs_by_time on runs (started_at);
create table if not exists chores (name text primary key, at double precision not null);
create table if not exists leases (
    endpoint text primary key, run_id text not null, token bigint not null, owner text not null,
    since double precision not null, until double precision not null
);
create table if not exists run_totals (
    name text not null, endpoint text not null, label text not null,
    value double precision not null, primary key (name, endpoint, label)
);
create table if not exists run_marks (
    endpoint text primary key, known_since double precision not null, facts text not null
);
create table if not exists alerts (
    event text primary key, host text not null, facts text not null,
    since double precision not null, told_at double precision, over_at double precision,
    taken_until double precision not null, tries bigint not null
);
"""

_THIRD: Final = """
update runs set status = 'paused',
facts = replace(facts, '"status": "stopped"', '"status": "paused"') where status = 'stopped';
update run_totals set label = 'paused' where name = 'runs' and label = 'stopped';
update run_marks set facts = replace(facts, '"status": "stopped"', '"status": "paused"');
"""

_FOURTH: Final = "\n".join(
    f"""
update runs set status = '{new}',
facts = replace(facts, '"status": "{old}"', '"status": "{new}"') where status = '{old}';
update run_totals set label = '{new}' where name = 'runs' and label = '{old}';
update run_marks set facts = replace(facts, '"status": "{old}"', '"status": "{new}"');
"""
    for old, new in (("later", "pending"), ("lost", "crashed"), ("dropped", "superseded"))
)

_FIFTH: Final = """
create table if not exists agenda (
    endpoint text primary key, schedule text not null, rank bigint not null,
    due_at double precision not null, wake_at double precision not null,
    attempt bigint not null, served_at double precision
);
create index if not exists agenda_by_wake on agenda (wake_at);
create table if not exists daemons (
    owner text primary key, host text not null, pid bigint not null,
    started_at double precision not null, beat_at double precision not null,
    workers bigint not null, running bigint not null
);
"""
"""Before this release other modules made these two tables, so they may exist."""

_SIXTH: Final = """
create table if not exists torn_clock (
    id bigint primary key check (id = 1), ahead double precision not null
);
"""

_SEVENTH: Final = """
create table if not exists installation (
    id bigint primary key check (id = 1), name text not null
);
"""

_EIGHTH: Final = """
create table if not exists channel_states (
    name text primary key, taken_until double precision not null, tries bigint not null,
    failing_since double precision, why text not null, sent bigint not null,
    failed bigint not null, sent_at double precision
);
create table if not exists deliveries (
    channel text not null, event text not null, told_at double precision,
    primary key (channel, event)
);
insert into deliveries (channel, event, told_at)
select 'discord', event, told_at from alerts where told_at is not null;
insert into deliveries (channel, event, told_at)
select 'webhook', event, told_at from alerts where told_at is not null;
"""
"""What the one webhook of before was told, the channel knows that is made of its settings."""

_NINTH: Final = """
create table if not exists forgotten (
    hash text primary key, kind text not null, player text not null, removed bigint not null,
    since double precision not null
);
create table if not exists forgetting (
    id bigint primary key check (id = 1), begun_at double precision not null
);
create table if not exists secrets (name text primary key, value text not null);
"""

RELEASES: Final = (
    _FIRST,
    _SECOND,
    _THIRD,
    _FOURTH,
    _FIFTH,
    _SIXTH,
    _SEVENTH,
    _EIGHTH,
    _NINTH,
)
"""The statements of each release. A published release never changes."""


def behind(database: Database) -> bool:
    """Whether a former release made the tables of a database."""
    return 0 < version(database) < len(RELEASES)


def migrate(database: Database) -> None:
    """Create the tables, or update them to this release; one process at a time does it.

    Raises:
        ConfigError: the tables are of a newer release.
        StateUnavailable: the database cannot be reached now.
    """
    if version(database) == len(RELEASES):
        return
    with database.writing() as db:
        db.execute(_VERSION)
        row = db.execute("select max(version) from state_version").fetchone()
        before = int(row[0] or 0)
        if before > len(RELEASES):
            raise ConfigError(
                f"The state {database.place} is of a newer release of TCdatalogger.",
                remedy="Nothing was changed. Update this one (docs/upgrade.md), or give it a "
                "state of its own in `state.url`.",
            )
        for release in RELEASES[before:]:
            for statement in filter(None, map(str.strip, release.split(";"))):
                db.execute(statement)
        if before < len(RELEASES):
            db.execute("delete from state_version")
            db.execute("insert into state_version (version) values (?)", (len(RELEASES),))


def version(database: Database) -> int:
    """The release of the tables of a database; 0 where there are no tables."""
    if not database.has("state_version"):
        return 0
    ((found,),) = database.reading("select max(version) from state_version")
    return int(found or 0)
