"""Prompts of KPR from masks and clicks, in place of the keypoints of a pose estimator."""

from reid.prompts.clicks import prompts_from_clicks
from reid.prompts.mask_files import read_mask
from reid.prompts.masks import prompts_from_mask
from reid.prompts.rle import decode_rle

__all__ = ["decode_rle", "prompts_from_clicks", "prompts_from_mask", "read_mask"]
