"""wsup"""
