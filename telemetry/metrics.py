"""Every metric of ours, by name. Labels are words of closed lists: no id, address or text of a customer's is one."""

from typing import Final

from telemetry.instruments import collected, counter, gauge, histogram

EVERYBODY: Final = ("api", "sessions", "faces", "avatar")
WORKERS: Final = ("sessions", "faces", "avatar")
STORES: Final = ("api", "sessions", "avatar")

QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
REQUEST: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
CREATE: Final = (0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 8, 12, 20, 30, 60)
STEP: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
LINE: Final = (0.1, 1, 2, 4, 8, 15, 30, 60, 120, 300)
SPEECH: Final = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1, 2, 5)
RATES: Final = (5, 10, 12, 15, 18, 20, 22, 24, 25, 26, 30, 60)

PROCESS = collected(
    "greenroom_process_info",
    "1 for each process: its role, and the id that its log lines carry as boot_id.",
    labels=("role", "boot_id"),
    roles=EVERYBODY,
)

# --- the API ----------------------------------------------------------------------------------------------------------

REQUEST_SECONDS = histogram(
    "greenroom_http_request_seconds",
    "Requests by route, and how long their answers took; a route that is not there is `none`.",
    REQUEST,
    labels=("method", "route", "status"),
    roles=("api",),
)
CREATES = counter(
    "greenroom_creates_total",
    "Creates by what they were answered: `started`, `repeated` (of one that was answered before) or a failure code; "
    "`stage` is the workflow's step that failed, `temporal` where that did not answer, `request` before either.",
    labels=("outcome", "stage"),
    roles=("api",),
)
CREATE_SECONDS = histogram(
    "greenroom_create_seconds",
    "From the request to its answer, for creates that started: the avatar is in the room by then.",
    CREATE,
    roles=("api",),
)

# --- sessions ---------------------------------------------------------------------------------------------------------

STARTED = counter("greenroom_sessions_started_total", "Sessions that started.", roles=("sessions",))
ENDED = counter(
    "greenroom_sessions_ended_total",
    "Ends by reason: why a session that had started ended, or the failure code of a create.",
    labels=("reason",),
    roles=("sessions",),
)
BILLED_SECONDS = counter("greenroom_billed_seconds_total", "Seconds billed, in whole minutes.", roles=("sessions",))
SERVED_SECONDS = counter(
    "greenroom_served_seconds_total",
    "Seconds served by the sessions that were billed, before each is rounded up to minutes.",
    roles=("sessions",),
)
LINE_SECONDS = histogram(
    "greenroom_line_wait_seconds",
    "How long creates that got a slot had waited in line for it; 0 for those that found one free.",
    LINE,
    roles=("sessions",),
)
FAILOVERS = counter(
    "greenroom_failovers_total",
    "Sessions that another avatar server took over, by what became of the one before.",
    labels=("cause",),
    roles=("sessions",),
)
FAILOVER_SECONDS = histogram(
    "greenroom_failover_gap_seconds",
    "From the last renewal of the server before to the picture of the next: nobody saw the avatar for as long at most.",
    (0.5, 1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 60, 120),
    roles=("sessions",),
)
WEBHOOK_DELIVERIES = counter(
    "greenroom_webhook_deliveries_total",
    "Webhooks that are over: `delivered`, or `given_up`.",
    labels=("outcome",),
    roles=("sessions",),
)
WEBHOOK_ATTEMPTS = counter(
    "greenroom_webhook_attempts_total",
    "Attempts to deliver: `taken`, `refused` (an answer, but no 2xx) or `unreachable`.",
    labels=("outcome",),
    roles=("sessions",),
)
FINDINGS = counter(
    "greenroom_reconciler_findings_total",
    "What the reconciler mended: `orphan` (a session without a workflow), `lease` (held by nobody alive), `staged` "
    "(pictures that nobody works on).",
    labels=("kind",),
    roles=("sessions",),
)
RECONCILED = gauge(
    "greenroom_reconciler_last_run_timestamp_seconds",
    "When this process last did a step of the reconciler; ask for the maximum over all.",
    roles=("sessions",),
)

# --- the fleet, as the database has it: the same from every sessions worker -------------------------------------------

FLEET_SLOTS = collected(
    "greenroom_fleet_slots",
    "Slots of avatar servers: `free`, `held`, or `away` (free, on a server that is silent or draining).",
    labels=("state",),
    roles=("sessions",),
)
FLEET_SERVERS = collected(
    "greenroom_fleet_servers",
    "Avatar servers: `live`, `draining`, or `silent` for three seconds and more.",
    labels=("state",),
    roles=("sessions",),
)
FLEET_LEASES = collected("greenroom_fleet_leases_held", "Leases that are held.", roles=("sessions",))
FLEET_SESSIONS = collected(
    "greenroom_fleet_sessions", "Sessions that have not ended, by status.", labels=("status",), roles=("sessions",)
)
FLEET_WAITING = collected("greenroom_fleet_waiting", "Creates in line.", roles=("sessions",))
FLEET_WEBHOOKS = collected(
    "greenroom_fleet_webhooks_pending", "Webhooks that no workflow has been started for.", roles=("sessions",)
)
FLEET_READ = collected(
    "greenroom_fleet_read_timestamp_seconds",
    "When this process last read the fleet's state; after 30 s without it shows none.",
    roles=("sessions",),
)

# --- what every worker does -------------------------------------------------------------------------------------------

STEP_SECONDS = histogram(
    "greenroom_step_seconds",
    "Steps of workflows by name and how they ended: `ok`, `refused` (an answer), `failed` (a fault) or `cancelled`. "
    "`stay_in_room`, which lasts as long as its session, is not among them.",
    STEP,
    labels=("step", "outcome"),
    roles=WORKERS,
)
STEP_REFUSALS = counter(
    "greenroom_step_refusals_total",
    "Steps that ended with a failure code.",
    labels=("step", "code"),
    roles=WORKERS,
)
DATABASE_SECONDS = histogram(
    "greenroom_database_seconds",
    "Transactions (`write`) and reads, with the wait for a connection; `outcome` is `ok`, `refused` or `failed`.",
    QUICK,
    labels=("kind", "outcome"),
    roles=STORES,
)

# --- the avatar server ------------------------------------------------------------------------------------------------

FIRST_FRAME_SECONDS = histogram(
    "greenroom_first_frame_seconds",
    "From the order to join to the room's acknowledgement of the picture.",
    CREATE,
    roles=("avatar",),
)
SPEECH_SECONDS = histogram(
    "greenroom_speech_latency_seconds",
    "From the first sound of an utterance at the avatar to the moment it plays, for utterances that did not have to "
    "wait for another.",
    SPEECH,
    roles=("avatar",),
)
UTTERANCES = counter(
    "greenroom_utterances_total",
    "Utterances that are over: `played` to the end, or `interrupted`.",
    labels=("outcome",),
    roles=("avatar",),
)
FRAMES = counter(
    "greenroom_frames_total",
    "Frames by what became of them: `shown` (repeated ones included), `repeated` because the next was late, `skipped`, "
    "or `rested` while nobody watched.",
    labels=("kind",),
    roles=("avatar",),
)
FRAME_RATE = histogram(
    "greenroom_frame_rate",
    "Frames a second of each avatar that is watched, one observation in about a second; repeated frames do not count.",
    RATES,
    roles=("avatar",),
)
SOUND_GAPS = counter("greenroom_sound_gaps_total", "How often a room's sound ran dry.", roles=("avatar",))
MEDIA_PROCESSES = gauge(
    "greenroom_media_processes",
    "Media processes of this server: `serving` a session, or `spare`.",
    labels=("state",),
    roles=("avatar",),
)
MEDIA_ENDS = counter(
    "greenroom_media_ends_total",
    "Media processes that ended, by their last word: an end reason, `left` (as told) or `died`.",
    labels=("reason",),
    roles=("avatar",),
)
RENEWAL_SECONDS = histogram(
    "greenroom_lease_renewal_seconds",
    "Renewals of this server's leases; `outcome` is `ok` or `failed`.",
    QUICK,
    labels=("outcome",),
    roles=("avatar",),
)
RENEWAL_SILENCE = gauge(
    "greenroom_lease_silence_seconds",
    "Since when the database has taken no renewal of this server; at 60 it leaves its rooms.",
    roles=("avatar",),
)
