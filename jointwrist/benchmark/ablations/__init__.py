"""Ablations of the joint network: plan, kept per-case results, estimates, tables and plot."""
