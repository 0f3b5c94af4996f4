"""What a campaign costs: core-hours and disk, spent and expected."""
