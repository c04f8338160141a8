"""Many captures, one table: judges an archive and keeps what it learned, so that nothing is done twice.

    inputs ─► plan (ledger) ─► pool or cluster ─► ledger ─► tables, index.html

A directory holds one archive: `ledger.sqlite` (what was done, with which tool, rules and site), `index/` (decoded
observations), `reports/`, and the tables made from the ledger. All of it but the ledger can be deleted and made again.
"""
