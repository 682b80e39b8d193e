"""Scenes: handles, blocks, warps, masks and bands of files, and pairs of scenes on one grid."""
