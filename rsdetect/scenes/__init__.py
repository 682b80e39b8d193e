"""Scenes as files: handles, blocks, warps, masks and bands, and the pair of them on one grid."""
