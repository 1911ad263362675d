"""The library that `{% load portal %}` loads; every module beside this one registers its tags in it."""

from django import template

register = template.Library()
