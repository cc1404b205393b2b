"""The fixtures that tests of several rooms share; they live in `support`."""

# What others import comes first: pytest rewrites a plugin's assertions only before anybody has imported it.
pytest_plugins = [
    "support.spreading",
    "support.measurements",
    "support.temporal",
    "support.stand_in_steps",
    "support.databases",
    "support.livekit_server",
    "support.pictures",
    "support.promtool",
    "support.api_system",
    "support.real_system",
]
