"""Known translation bugs: one table of wrong rules, and the step that names one."""
