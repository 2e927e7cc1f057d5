"""Ablations of the joint network: plan, per-case results that are kept, figures, tables and picture."""
