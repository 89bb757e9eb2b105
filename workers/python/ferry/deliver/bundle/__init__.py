"""Files that go into every bundle as they are."""
