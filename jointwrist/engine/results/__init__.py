"""Results of trainings and evaluations.

- `case_results`: per-case results, and the figures that select the best epoch.
- `changes`: figures before and after fine-tuning.
- `learning_curves`: losses and figures over epochs, as a picture.
"""
