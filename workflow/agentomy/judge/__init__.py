"""Verdicts on claims about what was measured over seeds: docs/verdicts.md says how, and why so.

written     what a claim says, as typed data
selection   the rows that a test is about, one for each seed and group
intervals   what is known of them
looks       when a claim is judged, and how surely
verdicts    what is said of tests and of whole claims
results     that, as data; showing: as a reader sees it
power       how many seeds would decide what is open
coverage    how often all this errs, simulated
alone       `agentomy judge`: the same for anybody's tables

But for the last it knows no files, and nothing of studies and jobs.
"""
