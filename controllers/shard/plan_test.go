package shard

// Plan is a placement.
type Plan struct {
	// Shards are the contents. Within a shard, records are sorted by seniority and UID.
	Shards [][]byte
	// Slots that are held now, by UID.
	Slots map[string]Slot
	// Overflow lists the records without a place, by UID.
	Overflow map[string]bool
	// GrowthRefused lists the records that are in a shard with their Reduced line, or hold a slot without one.
	GrowthRefused map[string]bool
}

// Place places records and assembles the shards, as the compiler does.
func Place(in Input) Plan {
	decisions, slots := Assign(in)
	plan := Plan{Shards: make([][]byte, in.Count), Slots: slots, Overflow: map[string]bool{}, GrowthRefused: map[string]bool{}}
	members := make([][]Record, in.Count)
	for i, d := range decisions {
		r := in.Records[i]
		switch d.Verdict {
		case Overflow:
			plan.Overflow[r.UID] = true
			continue
		case GrowthRefused:
			plan.GrowthRefused[r.UID] = true
			if r.Line = r.Reduced; len(r.Line) > slots[r.UID].Bytes {
				r.Line = nil
			}
		case Fits:
		}
		members[d.Shard] = append(members[d.Shard], r)
	}
	for i := range members {
		plan.Shards[i] = Assemble(members[i])
	}
	return plan
}
