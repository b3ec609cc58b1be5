"""The parts of make_person_data.py: labels, teachers, sources, composites, files."""
