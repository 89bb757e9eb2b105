"""The Python side of ferryd: what runs inside the two sandboxes.

Nothing here is imported by delivered code, and nothing here decides a verdict.
"""
