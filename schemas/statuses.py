"""What a balance and an account are said to be. Apart from the models of events, which take longer to load."""

from typing import Literal

Status = Literal["good", "moderate", "low", "exhausted"]
AccountStanding = Literal["open", "closed"]
