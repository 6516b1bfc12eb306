"""The ladder in chaos: policy path trimming and boosting (Tang et al.)."""
