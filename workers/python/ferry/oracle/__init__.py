"""The torch side: what a source is (`inspect_step`) and what it computes (`capture`).

Runs only in the torch environment. The source itself is run untouched; only `facts` runs
an instrumented copy of it, apart from the runs that are recorded as the truth.
"""
