"""The exercises of each lecture; what an exercise is stands in `ddrm_edu.course.engine`."""
