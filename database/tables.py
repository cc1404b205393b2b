"""The tables. Made by the migrations only; a test holds both together."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    false,
    true,
)

from database.instants import Instant

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

plans = Table(
    "plans",
    METADATA,
    Column("key", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("max_session_seconds", Integer),
    Column("max_concurrent_sessions", Integer, nullable=False),
    Column("included_minutes", Integer),  # a period; NULL: no limit
    Column("avatar_allowance", Integer),  # avatars made of pictures, a period; NULL: no limit
    Column("requests_per_minute", Integer),  # NULL: as the settings say
    Column("paid", Boolean, nullable=False, server_default=true()),  # may send pictures; its period is a subscription's
    Column("nobody_joined_s", Double),  # timers; NULL: as the settings say
    Column("participants_left_s", Double),
    Column("agent_left_s", Double),
    Column("requires", JSON(none_as_null=True)),  # labels that servers of its sessions must have; NULL: none
)

accounts = Table(
    "accounts",
    METADATA,
    Column("account_id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("plan_key", ForeignKey(plans.c.key), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("plan_since", Instant),  # NULL: since it was made
    Column("closed_at", Instant),
    Column("nobody_joined_s", Double),  # timers; NULL: as the plan says
    Column("participants_left_s", Double),
    Column("agent_left_s", Double),
    Column("requires", JSON(none_as_null=True)),  # labels that servers of its sessions must have; NULL: none
)

api_keys = Table(
    "api_keys",
    METADATA,
    Column("key_hash", String(64), primary_key=True),  # SHA-256 of the key, hexadecimal
    Column("account_id", ForeignKey(accounts.c.account_id), nullable=False, index=True),
    Column("name", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    Column("last_used_at", Instant),
)

avatars = Table(
    "avatars",
    METADATA,
    Column("avatar_id", String, primary_key=True),
    Column("account_id", ForeignKey(accounts.c.account_id), index=True),  # NULL: public
    Column("primary_ratio", String, nullable=False),
    Column("source_sha256", String(64), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("deleted_at", Instant),
    Column("pipeline", String),  # NULL: made before pictures were recognised, or not to be recognised
    Column("shared", Boolean, nullable=False, server_default=false()),  # given to more than its first maker
)
"""Where `deleted_at` is set the avatar is gone for everybody but the sessions that show it."""

Index(
    "uq_avatars_picture",
    avatars.c.account_id,
    avatars.c.source_sha256,
    avatars.c.pipeline,
    unique=True,
    sqlite_where=avatars.c.deleted_at.is_(None),
    postgresql_where=avatars.c.deleted_at.is_(None),
)
"""An account's picture becomes one avatar. NULLs differ: public avatars, and those of no known pipeline, may repeat."""

Index(
    "ix_avatars_deleted",
    avatars.c.deleted_at,
    sqlite_where=avatars.c.deleted_at.is_not(None),
    postgresql_where=avatars.c.deleted_at.is_not(None),
)

avatar_portraits = Table(
    "avatar_portraits",
    METADATA,
    Column("avatar_id", ForeignKey(avatars.c.avatar_id, ondelete="CASCADE"), primary_key=True),
    Column("profile", String, primary_key=True),
    Column("key", String, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("keypoints", JSON, nullable=False),
    Column("banks", JSON),  # what renderers have prepared of it: a list of objects with the fields of `Bank`
)

sessions = Table(
    "sessions",
    METADATA,
    Column("session_id", String, primary_key=True),
    Column("account_id", ForeignKey(accounts.c.account_id), nullable=False),
    Column("avatar_id", String, nullable=False, index=True),  # no key: a session outlives a deleted avatar
    Column("status", String, nullable=False),
    Column("aspect_ratio", String, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("deadline_at", Instant, nullable=False),  # until when it may start
    Column("started_at", Instant),
    Column("plan_seconds", Double),  # both limits count from started_at
    Column("enforced_seconds", Double),
    Column("ended_at", Instant),
    Column("end_reason", String),
    Column("reserved_minutes", Integer),  # counts until it ends; NULL: its plan has no limit
    Column("attended_at", Instant),  # since when somebody was known to have been there
    Column("duplicate_key", String(64)),  # the same participant of the same room; NULL: of nobody that is known
    Column("key_id", String),  # of the key that created it; NULL: a link did, or it is not known
    Column("requires", JSON(none_as_null=True)),  # labels that its servers must have; NULL: none
    CheckConstraint("(status = 'ended') = (ended_at IS NOT NULL)", name="ended_has_a_time"),
    CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="ended_has_a_reason"),
    CheckConstraint("status <> 'started' OR started_at IS NOT NULL", name="started_has_a_time"),
)
"""A session holds its account's place while `ended_at` is NULL; those of one `duplicate_key` hold one together."""

Index(
    "ix_sessions_live",
    sessions.c.account_id,
    sqlite_where=sessions.c.ended_at.is_(None),
    postgresql_where=sessions.c.ended_at.is_(None),
)

Index(
    "ix_sessions_started",
    sessions.c.account_id,
    sessions.c.started_at,
    sessions.c.session_id,
    sqlite_where=sessions.c.started_at.is_not(None),
    postgresql_where=sessions.c.started_at.is_not(None),
)
"""The list of an account's sessions, in its order."""

minute_packs = Table(
    "minute_packs",
    METADATA,
    Column("pack_id", String, primary_key=True),
    Column("account_id", ForeignKey(accounts.c.account_id), nullable=False, index=True),
    Column("minutes", Integer, nullable=False),
    Column("minutes_left", Integer, nullable=False),
    Column("bought_at", Instant, nullable=False),
    Column("expires_at", Instant),  # NULL: never
    CheckConstraint("minutes_left BETWEEN 0 AND minutes", name="no_more_than_bought"),
)
"""Minutes that an account has bought; what has been billed is gone from `minutes_left`."""

charges = Table(
    "charges",
    METADATA,
    Column("session_id", ForeignKey(sessions.c.session_id), primary_key=True),
    Column("account_id", ForeignKey(accounts.c.account_id), nullable=False),
    Column("charged_at", Instant, nullable=False),
    Column("served_ms", BigInteger, nullable=False),
    Column("minutes", Integer, nullable=False),
    Column("included_minutes", Integer, nullable=False),
    Column("purchased_minutes", Integer, nullable=False),
    Column("packs", JSON, nullable=False),  # minutes by pack_id
    CheckConstraint("minutes = included_minutes + purchased_minutes", name="nothing_twice"),
)
"""The ledger: one row for each session that had started, written in the transaction of its end."""

Index("ix_charges_period", charges.c.account_id, charges.c.charged_at)

made_avatars = Table(
    "made_avatars",
    METADATA,
    Column("avatar_id", String, primary_key=True),  # no key: it counts from before the avatar is there, and after
    Column("account_id", ForeignKey(accounts.c.account_id), nullable=False),
    Column("reserved_at", Instant, nullable=False),
    Column("made_at", Instant),  # NULL: not yet
)
"""Avatars that count against their account's allowance, deleted ones too."""

Index("ix_made_avatars_period", made_avatars.c.account_id, made_avatars.c.reserved_at)

Index(
    "ix_sessions_duplicate_key",
    sessions.c.duplicate_key,
    sqlite_where=sessions.c.ended_at.is_(None),
    postgresql_where=sessions.c.ended_at.is_(None),
)

creates = Table(
    "creates",
    METADATA,
    Column("account_id", ForeignKey(accounts.c.account_id), primary_key=True),
    Column("repeat_key", String(64), primary_key=True),  # a digest
    Column("keyed", Boolean, nullable=False),  # by the client's Idempotency-Key
    Column("body_mac", String, nullable=False),
    Column("session_id", String, nullable=False, unique=True),  # no key: the session's row comes later, or never
    Column("expires_at", Instant, nullable=False, index=True),
    Column("code", String),  # what it was refused with
    Column("message", String),
    Column("details", JSON),
)
"""Creates that a repeat would find; a row is swapped to a new session where the rules say so."""

waiting = Table(
    "waiting",
    METADATA,
    Column("session_id", ForeignKey(sessions.c.session_id), primary_key=True),
    Column("account_id", ForeignKey(accounts.c.account_id), nullable=False),
    Column("entered_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),  # moved on by each try; an entry that nobody tries for is void
)
"""The line of creates that wait for a slot."""

session_events = Table(
    "session_events",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),  # only INTEGER counts on SQLite
    Column("session_id", ForeignKey(sessions.c.session_id), nullable=False),
    Column("step", String, nullable=False),
    Column("generation", Integer, nullable=False),  # 0 where no lease is concerned
    Column("at", Instant, nullable=False),
    Column("status", String, nullable=False),  # the status that the step led to
    Column("reason", String),
    Column("workflow_id", String),  # NULL, as the two below: the change was no step of a workflow
    Column("run_id", String),
    Column("took_ms", BigInteger),  # from the moment the workflow asked for the step, attempts that failed included
    Column("details", JSON),
    UniqueConstraint("session_id", "step", "generation"),
)
"""The audit trail: one row for each change of status, written in the transaction that changes it."""

avatar_servers = Table(
    "avatar_servers",
    METADATA,
    Column("boot_id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("queue", String, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("registered_at", Instant, nullable=False),
    Column("renewed_at", Instant, nullable=False),
    Column("renewals", BigInteger, nullable=False),
    Column("draining", Boolean, nullable=False),
    Column("version", String),  # of its software; NULL: it does not say
    Column("labels", JSON(none_as_null=True)),  # an object of texts; NULL: none
)

slots = Table(
    "slots",
    METADATA,
    Column("boot_id", ForeignKey(avatar_servers.c.boot_id, ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("session_id", String),  # NULL: free
    Column("generation", Integer),
    UniqueConstraint("session_id", "generation"),
    CheckConstraint("(session_id IS NULL) = (generation IS NULL)", name="taken_by_a_generation"),
)

leases = Table(
    "leases",
    METADATA,
    Column("session_id", ForeignKey(sessions.c.session_id), primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("boot_id", String, nullable=False),  # no foreign key: what a server did outlives its row
    Column("server", String, nullable=False),
    Column("queue", String, nullable=False),
    Column("claimed_at", Instant, nullable=False),
    Column("renewed_at", Instant, nullable=False),
    Column("renewals", BigInteger, nullable=False),
    Column("served_ms", BigInteger, nullable=False),
    Column("revoked_at", Instant),
    Column("stop_at", Instant),  # when the session ends by itself; its server warns the room before
    Column("stop_reason", String),
    Column("ended_as", String),  # why the session ended that held it to the end
)
"""A lease is held exactly while `revoked_at` is NULL."""

Index(
    "ix_leases_held",
    leases.c.boot_id,
    sqlite_where=leases.c.revoked_at.is_(None),
    postgresql_where=leases.c.revoked_at.is_(None),
)

links = Table(
    "links",
    METADATA,
    Column("link_id", String, primary_key=True),
    Column("account_id", ForeignKey(accounts.c.account_id), nullable=False, index=True),
    Column("avatar_id", String, nullable=False),  # no key: a link outlives a deleted avatar, and says so
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("aspect_ratio", String, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("uses", Integer, nullable=False),
    Column("use_limit", Integer),  # NULL: none
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    CheckConstraint("use_limit IS NULL OR uses <= use_limit", name="within_its_limit"),
)

webhook_endpoints = Table(
    "webhook_endpoints",
    METADATA,
    Column("endpoint_id", String, primary_key=True),
    Column("account_id", ForeignKey(accounts.c.account_id), nullable=False, index=True),
    Column("url", String, nullable=False),
    Column("events", JSON, nullable=False),
    Column("sealed_secret", String, nullable=False),
    Column("sealed_previous", String),  # signs too until the moment below
    Column("previous_until", Instant),
    Column("created_at", Instant, nullable=False),
    Column("removed_at", Instant),
)

webhook_events = Table(
    "webhook_events",
    METADATA,
    Column("event_id", String, primary_key=True),
    Column("account_id", ForeignKey(accounts.c.account_id), nullable=False),
    Column("type", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("data", JSON, nullable=False),
    Index("ix_webhook_events_account_id", "account_id", "at"),
)
"""The outbox: written in the transaction of the change that it tells."""

webhook_deliveries = Table(
    "webhook_deliveries",
    METADATA,
    Column("event_id", ForeignKey(webhook_events.c.event_id), primary_key=True),
    Column("endpoint_id", ForeignKey(webhook_endpoints.c.endpoint_id), primary_key=True),
    Column("round", Integer, nullable=False),  # 1, and one more each time that somebody has it delivered again
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False),  # of this round
    Column("outcome", String),  # of the last attempt
    Column("changed_at", Instant, nullable=False),
)

Index(
    "ix_webhook_deliveries_pending",
    webhook_deliveries.c.changed_at,
    sqlite_where=webhook_deliveries.c.state == "pending",
    postgresql_where=webhook_deliveries.c.state == "pending",
)
"""What no workflow has been started for."""

control_lines = Table(
    "control_lines",
    METADATA,
    Column("session_id", ForeignKey(sessions.c.session_id), primary_key=True),
    Column("address", String, nullable=False),  # of the API process that has the client's socket
    Column("number", Integer, nullable=False),  # grows with each connection of the client
    Column("opened_at", Instant, nullable=False),
)
"""Sessions that a client controls by a socket, or once did."""

admission_freezes = Table(
    "admission_freezes",
    METADATA,
    Column("scope", String, primary_key=True),  # an account's id, or empty: everybody
    Column("reason", String, nullable=False),  # told to clients
    Column("since", Instant, nullable=False),
    Column("until", Instant),  # NULL: until it is thawed
)
"""While a row counts nobody of its scope is admitted; what runs goes on."""

erasures = Table(
    "erasures",
    METADATA,
    Column("receipt_id", String, primary_key=True),
    Column("account_sha256", String(64), nullable=False, unique=True),  # of the account's id
    Column("account_id", String),  # NULL once it is erased
    Column("begun_at", Instant, nullable=False),
    Column("erased_at", Instant),
    Column("counts", JSON, nullable=False),  # what was deleted, by table
)
"""Accounts that are being erased, or have been: nothing that says whose it was is left, but a digest of an id."""

erased_objects = Table(
    "erased_objects",
    METADATA,
    Column("receipt_id", ForeignKey(erasures.c.receipt_id), primary_key=True),
    Column("key_sha256", String(64), primary_key=True),  # of an object's key
)

erased_charges = Table(
    "erased_charges",
    METADATA,
    Column("charge_id", String(64), primary_key=True),  # a digest of the session's id: a repeat copies nothing twice
    Column("receipt_id", ForeignKey(erasures.c.receipt_id), nullable=False, index=True),
    Column("charged_at", Instant, nullable=False),
    Column("served_ms", BigInteger, nullable=False),
    Column("minutes", Integer, nullable=False),
    Column("included_minutes", Integer, nullable=False),
    Column("purchased_minutes", Integer, nullable=False),
)
"""The ledger of erased accounts: what was served and billed, and nothing of whom."""
