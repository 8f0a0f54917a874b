"""The notifier: reads the ledger, works out who should hear what, and tells them.

ledger (entries, chain checked) ─► audience (who hears what; pure) ─► phrases, languages (words) ─► teller ─► channels/, notices

It decides nothing about money. It writes notices, and on the contacts topic that somebody is forgotten.
"""
