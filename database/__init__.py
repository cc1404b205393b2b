"""What we remember. SQLAlchemy stays in here; domain types come out."""
