"""Renderers: sound in, pictures out; they know nothing of rooms."""
