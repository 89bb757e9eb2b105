"""Reads the passwords."""

with open("/etc/shadow") as file:
    answer = file.read()
