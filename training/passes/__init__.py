"""The passes of a training: on trial and in full, resumable, on one worker or several."""
