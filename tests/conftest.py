"""The fixtures that tests of several rooms share; they live in `support`."""

pytest_plugins = [
    "support.databases",
    "support.livekit_server",
    "support.pictures",
    "support.stand_in_steps",
    "support.temporal",
]
