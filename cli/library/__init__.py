"""The avatars of an installation from an operator's side: made of pictures, stored, set up; it asks nobody anything."""
