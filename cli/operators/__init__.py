"""Operators' verbs: freezing admissions, emptying servers, ending sessions, deleting accounts."""
