"""The equation ledger as code: every statement of the lecture with its proof and a wrong version.

`registry.py` says what an item is and which IDs there are; the other files hold the items, slide by
slide.  ``python -m ledger`` (``make verify``) prints the table, ``test_ledger.py`` tests it.
"""
