"""Reads the list of users."""

with open("/etc/passwd") as file:
    answer = file.read()
