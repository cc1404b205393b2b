"""Media processes as their parent sees them; imports no media library, so that an avatar server stays small."""
