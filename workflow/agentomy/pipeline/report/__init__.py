"""What the report says: its first page, and text of study files in it."""
