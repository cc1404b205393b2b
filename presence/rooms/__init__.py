"""Rooms behind one small interface, a module a platform."""
