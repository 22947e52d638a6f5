"""The engine of studies: it runs, resumes, shards and draws any record of one.

- `study`: what a study is; runs, their results, and reports of them.
- `columns`: tables as lists of columns over rows.
- `training_run`: runs that train, by a launcher's settings.
- `target`: a trained model that runs share, and how it comes about.
- `bench`: runs that measure trained models, piece by piece.
- `attacking`, `substitutes`: such pieces, with the columns of what they find.

To add a study, write a module that makes a `study.Study` of its runs at each scale, its
tables and its figures, and give it a line in `experiments.reproduce`.
"""
