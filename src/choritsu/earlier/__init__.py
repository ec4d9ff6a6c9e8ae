"""What earlier searches have tried, read from wherever they lie: ours, Keras Tuner's, and Optuna's."""

from choritsu.earlier.places import precedents_of as precedents_of
