"""The deliver step: the files of the bundle that are neither source, candidate nor map."""
