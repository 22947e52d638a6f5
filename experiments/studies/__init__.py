"""The engine of studies: it runs, resumes, shards and draws any record of one.

study          what a study is; runs, their results, and reports of them
columns        tables as lists of columns over rows
training_run   runs that train, by a launcher's settings
target         a trained model that runs share, and how it comes about
bench          runs that measure trained models, piece by piece
attacking      pieces that look for the nearest adversaries
"""
