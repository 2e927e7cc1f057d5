"""Prediction of radiographs: localiser, predictor, postprocessing, comparison of visits."""
