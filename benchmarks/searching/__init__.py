"""How good the suggestions are: this library's oracles and those of its peers, on the same problems and seeds.

    python -m benchmarks.searching run --players choritsu-random choritsu-bayes --trials 100 --seeds 10
    python -m benchmarks.searching run --players mine=package.module:Oracle      # any oracle of ours, made with seed=
    python -m benchmarks.searching run --players optuna --python optuna=/path/to/its/bin/python
    python -m benchmarks.searching report --curves curves.svg                    # of all that has been run
    python -m benchmarks.searching budgets                                       # part trainings: epochs to a goal
    python -m benchmarks.searching problems                                      # what there is to tune

Results are kept in `played/` (`--results`), a file for each player, a line for each problem and seed: `report` tells
of them without playing. What is there is not run again, so that a run can be continued and seeds added; with `--again`
it is, and has to be, for our own players, when an oracle has changed.

- `problems.py`: what a problem is. Synthetic ones are in `synthetic.py`, trainings done once for all in `curves.py` and
  `tables/`, trainings that run live in `live.py`. `references.json` holds the losses by which regret is scaled;
  `python -m benchmarks.searching references` finds them anew.
- `players/`: who suggests. A player runs in a process of its own, with an interpreter of its own if peers do not agree
  on versions; problems are always evaluated here, so that all see the same numbers.
- `playing.py` plays, `results.py` keeps what came out, `report.py` tells it.
- `budgets.py` compares methods that train most combinations in part only, on the learning curves of the tables.

Regret is normalised: 0 is the best loss known, 1 the median of random combinations. What counts is the incumbent, the
combination with the best loss observed so far, by its loss without noise.
"""
