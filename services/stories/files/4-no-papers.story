story    no-papers
title    No identity card, no test, not one dose
shows    Many small test and vaccine cases with deadlines, none with any identity field and none refused for lack of papers. One
shows    beneficiary dies while the pledges are unpaid, and the money finds the next case.
starts   2022-12-01T00:00Z
fund     winter currency=CNY share=CNY50 deadline_hours=72 vouchers_required=1
expect   winter asked=CNY4,010 promised=CNY4,370 placed=CNY3,630 settled=CNY3,630 delivered=CNY3,630 released=CNY650 waiting=CNY90 notices=440

when       | door  | fund   | event            | what
> Winter. Without an identity card there is no test and no vaccine, not one dose; cold medicine instead.
> A go-between sends in many small needs, each with a day by which it is needed. No form asks who anyone is.
+0d 00:20  | http  | winter | case.submitted   | case=dose-07 beneficiary=person-v07 need=vaccine route=go-between goal=CNY200 priority=routine needed_by=+20d00:00 access=CN-LN/unregistered
+0d 00:57  | http  | winter | case.submitted   | case=test-14 beneficiary=person-t14 need=test route=clinic goal=CNY80 priority=routine needed_by=+5d00:00 access=CN-HL/unregistered
+0d 01:34  | topic | winter | case.submitted   | case=dose-03 beneficiary=person-v03 need=vaccine route=go-between goal=CNY260 priority=asap needed_by=+16d00:00 access=CN-HL/unregistered
+0d 02:11  | http  | winter | case.submitted   | case=test-13 beneficiary=person-t13 need=test route=clinic goal=CNY120 priority=urgent needed_by=+3d00:00 access=CN-LN/unregistered
+0d 02:48  | http  | winter | case.submitted   | case=cold-04 beneficiary=person-c04 need=medication route=pharmacy goal=CNY60 priority=urgent access=CN-HL/unregistered
+0d 03:25  | topic | winter | case.submitted   | case=test-09 beneficiary=person-t09 need=test route=clinic goal=CNY80 priority=urgent needed_by=+5d00:00 access=CN-HL/unregistered
+0d 04:02  | http  | winter | case.submitted   | case=cold-03 beneficiary=person-c03 need=medication route=pharmacy goal=CNY60 priority=urgent access=CN-LN/unregistered
+0d 04:39  | http  | winter | case.submitted   | case=dose-10 beneficiary=person-v10 need=vaccine route=clinic goal=CNY220 priority=routine needed_by=+14d00:00 access=CN-LN/unregistered
+0d 05:16  | topic | winter | case.submitted   | case=dose-08 beneficiary=person-v08 need=vaccine route=clinic goal=CNY180 priority=routine needed_by=+14d00:00 access=CN-JL/unregistered
+0d 05:53  | http  | winter | case.submitted   | case=dose-05 beneficiary=person-v05 need=vaccine route=clinic goal=CNY180 priority=routine needed_by=+14d00:00 access=CN-JL/unregistered
+0d 06:30  | http  | winter | case.submitted   | case=test-07 beneficiary=person-t07 need=test route=clinic goal=CNY80 priority=routine needed_by=+10d00:00 access=CN-JL/unregistered
+0d 07:07  | topic | winter | case.submitted   | case=dose-02 beneficiary=person-v02 need=vaccine route=go-between goal=CNY220 priority=routine needed_by=+14d00:00 access=CN-JL/unknown
+0d 07:44  | http  | winter | case.submitted   | case=dose-06 beneficiary=person-v06 need=vaccine route=go-between goal=CNY260 priority=routine needed_by=+20d00:00 access=CN-JL/unregistered
+0d 08:21  | http  | winter | case.submitted   | case=dose-12 beneficiary=person-v12 need=vaccine route=clinic goal=CNY180 priority=routine needed_by=+20d00:00 access=CN-JL/unregistered
+0d 08:58  | topic | winter | case.submitted   | case=test-05 beneficiary=person-t05 need=test route=clinic goal=CNY80 priority=urgent needed_by=+5d00:00 access=CN-HL/unknown
+0d 09:35  | http  | winter | case.submitted   | case=dose-04 beneficiary=person-v04 need=vaccine route=go-between goal=CNY220 priority=routine needed_by=+7d00:00 access=CN-JL/unknown
+0d 10:12  | http  | winter | case.submitted   | case=dose-09 beneficiary=person-v09 need=vaccine route=clinic goal=CNY260 priority=routine needed_by=+12d00:00 access=CN-JL/unregistered
+0d 10:49  | topic | winter | case.submitted   | case=cold-01 beneficiary=person-c01 need=medication route=pharmacy goal=CNY40 priority=urgent access=CN-LN/unknown
+0d 11:26  | http  | winter | case.submitted   | case=dose-11 beneficiary=person-v11 need=vaccine route=go-between goal=CNY200 priority=routine needed_by=+12d00:00 access=CN-LN/unregistered
+0d 12:03  | http  | winter | case.submitted   | case=test-03 beneficiary=person-t03 need=test route=clinic goal=CNY60 priority=routine needed_by=+3d00:00 access=CN-JL/unknown
+0d 12:40  | topic | winter | case.submitted   | case=test-12 beneficiary=person-t12 need=test route=clinic goal=CNY80 priority=routine needed_by=+4d00:00 access=CN-LN/unregistered
+0d 13:17  | http  | winter | case.submitted   | case=test-02 beneficiary=person-t02 need=test route=clinic goal=CNY120 priority=urgent needed_by=+4d00:00 access=CN-LN/unregistered
+0d 13:54  | http  | winter | case.submitted   | case=test-01 beneficiary=person-t01 need=test route=clinic goal=CNY80 priority=urgent needed_by=+3d00:00 access=CN-LN/unregistered
+0d 14:31  | topic | winter | case.submitted   | case=dose-01 beneficiary=person-v01 need=vaccine route=go-between goal=CNY200 priority=routine needed_by=+14d00:00 access=CN-JL/unregistered
+0d 15:08  | http  | winter | case.submitted   | case=test-10 beneficiary=person-t10 need=test route=clinic goal=CNY80 priority=routine needed_by=+8d00:00 access=CN-HL/unregistered
+0d 15:45  | http  | winter | case.submitted   | case=test-06 beneficiary=person-t06 need=test route=clinic goal=CNY80 priority=routine needed_by=+5d00:00 access=CN-JL/unregistered
+0d 16:22  | topic | winter | case.submitted   | case=test-11 beneficiary=person-t11 need=test route=clinic goal=CNY80 priority=urgent needed_by=+8d00:00 access=CN-JL/unknown
+0d 16:59  | http  | winter | case.submitted   | case=test-04 beneficiary=person-t04 need=test route=clinic goal=CNY120 priority=urgent needed_by=+3d00:00 access=CN-HL/unregistered
+0d 17:36  | http  | winter | case.submitted   | case=test-08 beneficiary=person-t08 need=test route=clinic goal=CNY80 priority=urgent needed_by=+4d00:00 access=CN-HL/unregistered
+0d 18:13  | topic | winter | case.submitted   | case=cold-02 beneficiary=person-c02 need=medication route=pharmacy goal=CNY50 priority=urgent access=CN-HL/unregistered
> Vouched for in the evening, all of them; not one is refused.
+0d 20:00  | http  | winter | case.vouched     | case=dose-07 voucher=go-between-1
+0d 20:01  | http  | winter | case.vouched     | case=test-14 voucher=go-between-2
+0d 20:02  | topic | winter | case.vouched     | case=dose-03 voucher=go-between-3
+0d 20:03  | http  | winter | case.vouched     | case=test-13 voucher=go-between-1
+0d 20:04  | http  | winter | case.vouched     | case=cold-04 voucher=go-between-2
+0d 20:05  | topic | winter | case.vouched     | case=test-09 voucher=go-between-3
+0d 20:06  | http  | winter | case.vouched     | case=cold-03 voucher=go-between-1
+0d 20:07  | http  | winter | case.vouched     | case=dose-10 voucher=go-between-2
+0d 20:08  | topic | winter | case.vouched     | case=dose-08 voucher=go-between-3
+0d 20:09  | http  | winter | case.vouched     | case=dose-05 voucher=go-between-1
+0d 20:10  | http  | winter | case.vouched     | case=test-07 voucher=go-between-2
+0d 20:11  | topic | winter | case.vouched     | case=dose-02 voucher=go-between-3
+0d 20:12  | http  | winter | case.vouched     | case=dose-06 voucher=go-between-1
+0d 20:13  | http  | winter | case.vouched     | case=dose-12 voucher=go-between-2
+0d 20:14  | topic | winter | case.vouched     | case=test-05 voucher=go-between-3
+0d 20:15  | http  | winter | case.vouched     | case=dose-04 voucher=go-between-1
+0d 20:16  | http  | winter | case.vouched     | case=dose-09 voucher=go-between-2
+0d 20:17  | topic | winter | case.vouched     | case=cold-01 voucher=go-between-3
+0d 20:18  | http  | winter | case.vouched     | case=dose-11 voucher=go-between-1
+0d 20:19  | http  | winter | case.vouched     | case=test-03 voucher=go-between-2
+0d 20:20  | topic | winter | case.vouched     | case=test-12 voucher=go-between-3
+0d 20:21  | http  | winter | case.vouched     | case=test-02 voucher=go-between-1
+0d 20:22  | http  | winter | case.vouched     | case=test-01 voucher=go-between-2
+0d 20:23  | topic | winter | case.vouched     | case=dose-01 voucher=go-between-3
+0d 20:24  | http  | winter | case.vouched     | case=test-10 voucher=go-between-1
+0d 20:25  | http  | winter | case.vouched     | case=test-06 voucher=go-between-2
+0d 20:26  | topic | winter | case.vouched     | case=test-11 voucher=go-between-3
+0d 20:27  | http  | winter | case.vouched     | case=test-04 voucher=go-between-1
+0d 20:28  | http  | winter | case.vouched     | case=test-08 voucher=go-between-2
+0d 20:29  | topic | winter | case.vouched     | case=cold-02 voucher=go-between-3
> Money is short at first. It goes strictly by class: asap first, then urgent, then routine. A near deadline raises a case by a class.
+1d 01:00  | http  | winter | pledge.made      | pledge=w-01 donor=giver-01 amount=CNY100
+1d 02:00  | http  | winter | pledge.made      | pledge=w-02 donor=giver-02 amount=CNY200
+1d 03:00  | http  | winter | pledge.made      | pledge=w-03 donor=giver-03 amount=CNY150 designation=need:vaccine fallback=release expires_at=+6d00:00
+1d 04:00  | http  | winter | pledge.made      | pledge=w-04 donor=giver-04 amount=CNY80
+1d 05:00  | http  | winter | pledge.made      | pledge=w-05 donor=giver-05 amount=CNY120
+1d 06:00  | http  | winter | pledge.made      | pledge=w-06 donor=giver-06 amount=CNY60
+1d 07:00  | http  | winter | pledge.made      | pledge=w-07 donor=giver-07 amount=CNY100 designation=need:test
+1d 08:00  | http  | winter | pledge.made      | pledge=w-08 donor=giver-08 amount=CNY50
> Some pay the same day.
+1d 20:04  | http  | winter | payment.received | pledge=w-04 payment=w-pay-04 amount=CNY80
+1d 20:06  | http  | winter | payment.received | pledge=w-06 payment=w-pay-06 amount=CNY60
+1d 20:07  | http  | winter | payment.received | pledge=w-07 payment=w-pay-07 amount=CNY100
> One of those who waited for a vaccine has died, the pledges for it still unpaid.
> Every promise to that case ends in the same entry, and finds the next case by the rule.
+2d 04:00  | http  | winter | case.closed      | case=dose-03 outcome=deceased
+2d 14:57  | http  | winter | pledge.made      | pledge=w-09 donor=giver-09 amount=CNY200 designation=need:vaccine
+2d 18:55  | topic | winter | pledge.made      | pledge=w-10 donor=giver-10 amount=CNY200
> From the third day on deadlines come near: cases rise by themselves, and each pledge goes where it is needed soonest.
+3d 10:01  | http  | winter | payment.received | pledge=w-01 payment=w-pay-01 amount=CNY100
+3d 10:02  | http  | winter | payment.received | pledge=w-02 payment=w-pay-02 amount=CNY200
+3d 10:05  | http  | winter | payment.received | pledge=w-05 payment=w-pay-05 amount=CNY120
+3d 10:08  | http  | winter | payment.received | pledge=w-08 payment=w-pay-08 amount=CNY50
+3d 11:48  | http  | winter | payment.received | pledge=w-09 payment=w-pay-09 amount=CNY200
+3d 15:24  | http  | winter | pledge.made      | pledge=w-12 donor=giver-12 amount=CNY50
+3d 16:02  | http  | winter | payment.received | pledge=w-10 payment=w-pay-10 amount=CNY200
+3d 19:47  | http  | winter | pledge.made      | pledge=w-11 donor=giver-11 amount=CNY300
+4d 09:43  | http  | winter | payment.received | pledge=w-12 payment=w-pay-12 amount=CNY50
+4d 14:13  | http  | winter | pledge.made      | pledge=w-13 donor=giver-13 amount=CNY50
+4d 14:33  | http  | winter | payment.received | pledge=w-11 payment=w-pay-11 amount=CNY300
+4d 17:57  | http  | winter | pledge.made      | pledge=w-14 donor=giver-14 amount=CNY300 expires_at=+5d00:00
+5d 02:40  | http  | winter | payment.received | pledge=w-13 payment=w-pay-13 amount=CNY50
+5d 13:18  | topic | winter | pledge.made      | pledge=w-15 donor=giver-15 amount=CNY80
+5d 15:51  | http  | winter | pledge.made      | pledge=w-16 donor=giver-16 amount=CNY200
+5d 18:24  | http  | winter | payment.received | pledge=w-15 payment=w-pay-15 amount=CNY80
> Two pledges came with an end date, and it has come: what nobody paid is released, and its cases are open to others again.
+6d 04:03  | http  | winter | payment.received | pledge=w-16 payment=w-pay-16 amount=CNY200
+6d 13:52  | http  | winter | pledge.made      | pledge=w-17 donor=giver-17 amount=CNY200 designation=need:vaccine
+6d 16:13  | http  | winter | pledge.made      | pledge=w-18 donor=giver-18 amount=CNY150
+7d 02:34  | http  | winter | payment.received | pledge=w-18 payment=w-pay-18 amount=CNY150
+7d 13:59  | topic | winter | pledge.made      | pledge=w-20 donor=giver-20 amount=CNY100 fallback=hold designation=need:test
> A payment does not come. Only its unpaid part ends, is released, and the case is open to others again.
+7d 14:52  | http  | winter | payment.failed   | pledge=w-17 payment=w-pay-17 reason=card-declined
+7d 18:51  | http  | winter | pledge.made      | pledge=w-19 donor=giver-19 amount=CNY200
+8d 00:17  | http  | winter | payment.received | pledge=w-19 payment=w-pay-19 amount=CNY200
+8d 03:46  | http  | winter | payment.received | pledge=w-20 payment=w-pay-20 amount=CNY100
+8d 15:04  | http  | winter | pledge.made      | pledge=w-21 donor=giver-21 amount=CNY150
+9d 00:01  | http  | winter | payment.received | pledge=w-21 payment=w-pay-21 amount=CNY150
+9d 12:40  | http  | winter | pledge.made      | pledge=w-22 donor=giver-22 amount=CNY300
+10d 07:10 | http  | winter | payment.received | pledge=w-22 payment=w-pay-22 amount=CNY300
+10d 11:02 | http  | winter | pledge.made      | pledge=w-23 donor=giver-23 amount=CNY200
+11d 05:02 | http  | winter | payment.received | pledge=w-23 payment=w-pay-23 amount=CNY200
+11d 17:08 | http  | winter | pledge.made      | pledge=w-24 donor=giver-24 amount=CNY150
+12d 05:43 | http  | winter | payment.received | pledge=w-24 payment=w-pay-24 amount=CNY150
+12d 12:42 | topic | winter | pledge.made      | pledge=w-25 donor=giver-25 amount=CNY300 designation=need:vaccine
+12d 19:31 | http  | winter | payment.received | pledge=w-25 payment=w-pay-25 amount=CNY300
+13d 08:55 | http  | winter | pledge.made      | pledge=w-26 donor=giver-26 amount=CNY300
+13d 20:48 | http  | winter | payment.received | pledge=w-26 payment=w-pay-26 amount=CNY300
+14d 19:40 | http  | winter | pledge.made      | pledge=w-27 donor=giver-27 amount=CNY80
+15d 06:11 | http  | winter | payment.received | pledge=w-27 payment=w-pay-27 amount=CNY80
> What was paid is handed over, case by case. Cases that are whole are closed; their donors hear of it.
+20d 00:03 | http  | winter | case.delivered   | case=dose-07 delivery=dose-07-d amount=CNY190
+20d 00:06 | http  | winter | case.delivered   | case=test-14 delivery=test-14-d amount=CNY80
+20d 00:08 | http  | winter | case.closed      | case=test-14 outcome=completed
+20d 00:09 | http  | winter | case.delivered   | case=test-13 delivery=test-13-d amount=CNY120
+20d 00:11 | http  | winter | case.closed      | case=test-13 outcome=completed
+20d 00:12 | http  | winter | case.delivered   | case=cold-04 delivery=cold-04-d amount=CNY60
+20d 00:13 | http  | winter | case.thanked     | case=cold-04 thanks=thank-you
+20d 00:14 | http  | winter | case.closed      | case=cold-04 outcome=completed
+20d 00:15 | topic | winter | case.delivered   | case=test-09 delivery=test-09-d amount=CNY80
+20d 00:17 | http  | winter | case.closed      | case=test-09 outcome=completed
+20d 00:18 | http  | winter | case.delivered   | case=cold-03 delivery=cold-03-d amount=CNY60
+20d 00:20 | http  | winter | case.closed      | case=cold-03 outcome=completed
+20d 00:21 | http  | winter | case.delivered   | case=dose-10 delivery=dose-10-d amount=CNY220
+20d 00:23 | http  | winter | case.closed      | case=dose-10 outcome=completed
+20d 00:24 | http  | winter | case.delivered   | case=dose-08 delivery=dose-08-d amount=CNY180
+20d 00:25 | http  | winter | case.thanked     | case=dose-08 thanks=thank-you
+20d 00:26 | http  | winter | case.closed      | case=dose-08 outcome=completed
+20d 00:27 | http  | winter | case.delivered   | case=dose-05 delivery=dose-05-d amount=CNY180
+20d 00:29 | http  | winter | case.closed      | case=dose-05 outcome=completed
+20d 00:30 | http  | winter | case.delivered   | case=test-07 delivery=test-07-d amount=CNY80
+20d 00:32 | http  | winter | case.closed      | case=test-07 outcome=completed
+20d 00:33 | http  | winter | case.delivered   | case=dose-02 delivery=dose-02-d amount=CNY220
+20d 00:35 | http  | winter | case.closed      | case=dose-02 outcome=completed
+20d 00:36 | http  | winter | case.delivered   | case=dose-06 delivery=dose-06-d amount=CNY150
+20d 00:39 | http  | winter | case.delivered   | case=dose-12 delivery=dose-12-d amount=CNY180
+20d 00:41 | http  | winter | case.closed      | case=dose-12 outcome=completed
+20d 00:42 | http  | winter | case.delivered   | case=test-05 delivery=test-05-d amount=CNY80
+20d 00:44 | http  | winter | case.closed      | case=test-05 outcome=completed
+20d 00:45 | topic | winter | case.delivered   | case=dose-04 delivery=dose-04-d amount=CNY220
+20d 00:47 | http  | winter | case.closed      | case=dose-04 outcome=completed
+20d 00:48 | http  | winter | case.delivered   | case=dose-09 delivery=dose-09-d amount=CNY260
+20d 00:49 | http  | winter | case.thanked     | case=dose-09 thanks=thank-you
+20d 00:50 | http  | winter | case.closed      | case=dose-09 outcome=completed
+20d 00:51 | http  | winter | case.delivered   | case=cold-01 delivery=cold-01-d amount=CNY40
+20d 00:53 | http  | winter | case.closed      | case=cold-01 outcome=completed
+20d 00:54 | http  | winter | case.delivered   | case=dose-11 delivery=dose-11-d amount=CNY200
+20d 00:56 | http  | winter | case.closed      | case=dose-11 outcome=completed
+20d 00:57 | http  | winter | case.delivered   | case=test-03 delivery=test-03-d amount=CNY60
+20d 00:59 | http  | winter | case.closed      | case=test-03 outcome=completed
+20d 01:00 | http  | winter | case.delivered   | case=test-12 delivery=test-12-d amount=CNY80
+20d 01:01 | http  | winter | case.thanked     | case=test-12 thanks=thank-you
+20d 01:02 | http  | winter | case.closed      | case=test-12 outcome=completed
+20d 01:03 | http  | winter | case.delivered   | case=test-02 delivery=test-02-d amount=CNY120
+20d 01:05 | http  | winter | case.closed      | case=test-02 outcome=completed
+20d 01:06 | http  | winter | case.delivered   | case=test-01 delivery=test-01-d amount=CNY80
+20d 01:08 | http  | winter | case.closed      | case=test-01 outcome=completed
+20d 01:09 | http  | winter | case.delivered   | case=dose-01 delivery=dose-01-d amount=CNY200
+20d 01:11 | http  | winter | case.closed      | case=dose-01 outcome=completed
+20d 01:12 | http  | winter | case.delivered   | case=test-10 delivery=test-10-d amount=CNY80
+20d 01:13 | http  | winter | case.thanked     | case=test-10 thanks=thank-you
+20d 01:14 | http  | winter | case.closed      | case=test-10 outcome=completed
+20d 01:15 | topic | winter | case.delivered   | case=test-06 delivery=test-06-d amount=CNY80
+20d 01:17 | http  | winter | case.closed      | case=test-06 outcome=completed
+20d 01:18 | http  | winter | case.delivered   | case=test-11 delivery=test-11-d amount=CNY80
+20d 01:20 | http  | winter | case.closed      | case=test-11 outcome=completed
+20d 01:21 | http  | winter | case.delivered   | case=test-04 delivery=test-04-d amount=CNY120
+20d 01:23 | http  | winter | case.closed      | case=test-04 outcome=completed
+20d 01:24 | http  | winter | case.delivered   | case=test-08 delivery=test-08-d amount=CNY80
+20d 01:25 | http  | winter | case.thanked     | case=test-08 thanks=thank-you
+20d 01:26 | http  | winter | case.closed      | case=test-08 outcome=completed
+20d 01:27 | http  | winter | case.delivered   | case=cold-02 delivery=cold-02-d amount=CNY50
+20d 01:29 | http  | winter | case.closed      | case=cold-02 outcome=completed
