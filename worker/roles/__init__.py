"""What each role opens. The registry imports one of these modules, the one of the role that starts."""
