story    tuberculosis
title    Needs that return, rise and change
shows    One woman, three needs: an admission (immediate) through a go-between; medicine every month, its price raised twice; and someone
shows    to talk to, routine at first and rising by waiting. Recurring pledges meet the recurring need.
starts   2021-12-08T01:00Z
fund     jilin-care currency=CNY share=CNY100 ageing_days=7 vouchers_required=1
expect   jilin-care asked=CNY18,650 promised=CNY16,582 placed=CNY16,150 settled=CNY16,150 delivered=CNY16,150 released=CNY300 waiting=CNY132 notices=248

when        | door  | fund       | event            | what
> Jilin. A woman with severe tuberculosis and a severe depression. A doctor's friend got her seen once, for money.
+0d 00:05   | http  | jilin-care | rate.quoted      | currency=KRW rate=0.0053
+0d 00:10   | http  | jilin-care | case.submitted   | case=tb-admission beneficiary=person-w need=admission route=go-between goal=CNY5,000 priority=stat needed_by=+6d00:00 access=CN-JL/unregistered
+0d 00:12   | http  | jilin-care | case.submitted   | case=tb-medicine beneficiary=person-w need=medication route=pharmacy goal=CNY1,200 priority=urgent recurrence=P1Mx6 access=CN-JL/unregistered
+0d 00:14   | http  | jilin-care | case.submitted   | case=tb-talk beneficiary=person-w need=psychosocial route=home goal=CNY1,800 priority=routine access=CN-JL/unregistered
> The doctor's friend vouches for all three needs. Admission is immediate: that class is served before all others.
+0d 01:00   | http  | jilin-care | case.vouched     | case=tb-admission voucher=doctors-friend
+0d 01:00   | http  | jilin-care | case.vouched     | case=tb-medicine voucher=doctors-friend
+0d 01:00   | http  | jilin-care | case.vouched     | case=tb-talk voucher=doctors-friend
> Three donors promise the same sum each month, for medicine and nothing else; what the month does not need is held.
+0d 03:01   | http  | jilin-care | pledge.made      | pledge=tb-monthly-1 donor=steady-1 amount=CNY600 designation=need:medication fallback=hold recurrence=P1Mx6
+0d 03:02   | topic | jilin-care | pledge.made      | pledge=tb-monthly-2 donor=steady-2 amount=CNY400 designation=need:medication fallback=hold recurrence=P1Mx6
+0d 03:03   | http  | jilin-care | pledge.made      | pledge=tb-monthly-3 donor=steady-3 amount=CNY200 designation=need:medication fallback=hold recurrence=P1Mx6
> A fourth gives each month too, in won: every instalment is worth what the rate in force says that day.
+0d 04:00   | http  | jilin-care | pledge.made      | pledge=tb-monthly-4 donor=steady-4 amount=KRW20,000 designation=need:medication recurrence=P1Mx6
+0d 08:01   | http  | jilin-care | payment.received | pledge=tb-monthly-1 payment=tb-m1-1 amount=CNY600
+0d 08:02   | http  | jilin-care | payment.received | pledge=tb-monthly-2 payment=tb-m2-1 amount=CNY400
+0d 08:03   | http  | jilin-care | payment.received | pledge=tb-monthly-3 payment=tb-m3-1 amount=CNY200
> Others give for whatever is most urgent: by the rule that is the admission, until its CNY 5,000 are there.
+0d 09:00   | http  | jilin-care | payment.received | pledge=tb-monthly-4 payment=tb-m4-1 amount=KRW20,000
+0d 09:00   | http  | jilin-care | pledge.made      | pledge=tb-once-1 donor=giver-1 amount=CNY1,000
+0d 13:00   | http  | jilin-care | pledge.made      | pledge=tb-once-2 donor=giver-2 amount=CNY800
+0d 17:00   | http  | jilin-care | pledge.made      | pledge=tb-once-3 donor=giver-3 amount=CNY500
+0d 21:00   | http  | jilin-care | pledge.made      | pledge=tb-once-4 donor=giver-4 amount=CNY1,000
+1d 01:00   | http  | jilin-care | pledge.made      | pledge=tb-once-5 donor=giver-5 amount=CNY700
+1d 05:00   | http  | jilin-care | pledge.made      | pledge=tb-once-6 donor=giver-6 amount=CNY500
+1d 09:00   | http  | jilin-care | pledge.made      | pledge=tb-once-7 donor=giver-7 amount=CNY500
+1d 14:10   | http  | jilin-care | payment.received | pledge=tb-once-1 payment=tb-o1 amount=CNY1,000
+1d 14:20   | http  | jilin-care | payment.received | pledge=tb-once-2 payment=tb-o2 amount=CNY800
+1d 14:30   | http  | jilin-care | payment.received | pledge=tb-once-3 payment=tb-o3 amount=CNY500
+1d 14:40   | http  | jilin-care | payment.received | pledge=tb-once-4 payment=tb-o4 amount=CNY1,000
+1d 14:50   | http  | jilin-care | payment.received | pledge=tb-once-5 payment=tb-o5 amount=CNY700
+1d 15:00   | http  | jilin-care | payment.received | pledge=tb-once-6 payment=tb-o6 amount=CNY500
+1d 15:10   | http  | jilin-care | payment.received | pledge=tb-once-7 payment=tb-o7 amount=CNY500
> The go-between is paid a part to arrange a bed …
+2d 02:00   | http  | jilin-care | case.delivered   | case=tb-admission delivery=tb-a-1 amount=CNY2,500
> … and finds none: without papers she can't be admitted. The case is closed; CNY 2,500, already paid, move on in
> the same instant, as far as an open case lacks money. The rest waits in its donors' names.
+5d 06:00   | http  | jilin-care | case.closed      | case=tb-admission outcome=withdrawn
> A donor asks for the part of a pledge that waits: it was paid, so it is refunded, and the ledger says so.
+5d 08:00   | http  | jilin-care | payment.refunded | pledge=tb-once-7 payment=tb-o7-back amount=CNY300
> She takes medicine at home. The first month is delivered. Then the price outside insurance rises.
+12d 01:00  | http  | jilin-care | case.delivered   | case=tb-medicine delivery=tb-m-1 amount=CNY1,200
+21d 03:00  | http  | jilin-care | case.delivered   | case=tb-talk delivery=tb-t-1 amount=CNY1,800
+26d 01:00  | http  | jilin-care | case.amended     | case=tb-medicine goal=CNY1,450
> A month has passed: the medicine is asked for once more, and each steady pledge brings its next instalment.
+31d 06:00  | http  | jilin-care | rate.quoted      | currency=KRW rate=0.0054
+31d 12:01  | http  | jilin-care | payment.received | pledge=tb-monthly-1#2 payment=tb-m1-2 amount=CNY600
+31d 12:02  | http  | jilin-care | payment.received | pledge=tb-monthly-2#2 payment=tb-m2-2 amount=CNY400
+31d 12:03  | http  | jilin-care | payment.received | pledge=tb-monthly-3#2 payment=tb-m3-2 amount=CNY200
+31d 12:10  | http  | jilin-care | payment.received | pledge=tb-monthly-4#2 payment=tb-m4-2 amount=KRW20,000
> Somebody else needs someone to talk to (routine). No money is free now.
+33d 00:00  | http  | jilin-care | case.submitted   | case=tb-other beneficiary=person-x need=psychosocial route=home goal=CNY1,500 priority=routine access=CN-JL/family-register
+33d 01:00  | http  | jilin-care | case.vouched     | case=tb-other voucher=neighbour-7
+34d 01:00  | http  | jilin-care | case.delivered   | case=tb-medicine delivery=tb-m-2 amount=CNY1,700
> The one who only needs to talk has waited 15 days: routine has become asap by waiting, and goes before a fresh urgent need.
+48d 01:00  | http  | jilin-care | case.submitted   | case=tb-fresh beneficiary=person-y need=consultation route=clinic goal=CNY900 priority=urgent access=CN-JL/unknown
+48d 02:00  | http  | jilin-care | case.vouched     | case=tb-fresh voucher=neighbour-8
+48d 05:00  | topic | jilin-care | pledge.made      | pledge=tb-late-1 donor=giver-8 amount=CNY1,000
+49d 05:00  | http  | jilin-care | payment.received | pledge=tb-late-1 payment=tb-l1 amount=CNY1,000
+55d 06:00  | http  | jilin-care | pledge.made      | pledge=tb-late-2 donor=giver-10 amount=CNY1,400
+56d 06:00  | http  | jilin-care | payment.received | pledge=tb-late-2 payment=tb-l2 amount=CNY1,400
+60d 01:00  | http  | jilin-care | case.delivered   | case=tb-other delivery=tb-x-1 amount=CNY1,500
+62d 01:00  | http  | jilin-care | case.delivered   | case=tb-fresh delivery=tb-y-1 amount=CNY900
+62d 06:00  | http  | jilin-care | rate.quoted      | currency=KRW rate=0.0052
+62d 12:01  | http  | jilin-care | payment.received | pledge=tb-monthly-1#3 payment=tb-m1-3 amount=CNY600
+62d 12:02  | http  | jilin-care | payment.received | pledge=tb-monthly-2#3 payment=tb-m2-3 amount=CNY400
+62d 12:03  | http  | jilin-care | payment.received | pledge=tb-monthly-3#3 payment=tb-m3-3 amount=CNY200
+62d 12:10  | http  | jilin-care | payment.received | pledge=tb-monthly-4#3 payment=tb-m4-3 amount=KRW20,000
+66d 01:00  | topic | jilin-care | case.delivered   | case=tb-medicine delivery=tb-m-3 amount=CNY1,420
+90d 06:00  | http  | jilin-care | rate.quoted      | currency=KRW rate=0.0051
+90d 12:01  | http  | jilin-care | payment.received | pledge=tb-monthly-1#4 payment=tb-m1-4 amount=CNY600
+90d 12:02  | http  | jilin-care | payment.received | pledge=tb-monthly-2#4 payment=tb-m2-4 amount=CNY400
+90d 12:03  | http  | jilin-care | payment.received | pledge=tb-monthly-3#4 payment=tb-m3-4 amount=CNY200
+90d 12:10  | http  | jilin-care | payment.received | pledge=tb-monthly-4#4 payment=tb-m4-4 amount=KRW20,000
+94d 01:00  | http  | jilin-care | case.delivered   | case=tb-medicine delivery=tb-m-4 amount=CNY1,304
> The price rises a second time.
+95d 01:00  | http  | jilin-care | case.amended     | case=tb-medicine goal=CNY1,700
+100d 06:00 | http  | jilin-care | pledge.made      | pledge=tb-late-3 donor=giver-11 amount=CNY800
+101d 06:00 | topic | jilin-care | payment.received | pledge=tb-late-3 payment=tb-l3 amount=CNY800
+121d 06:00 | http  | jilin-care | rate.quoted      | currency=KRW rate=0.0053
+121d 12:01 | http  | jilin-care | payment.received | pledge=tb-monthly-1#5 payment=tb-m1-5 amount=CNY600
+121d 12:02 | http  | jilin-care | payment.received | pledge=tb-monthly-2#5 payment=tb-m2-5 amount=CNY400
+121d 12:03 | http  | jilin-care | payment.received | pledge=tb-monthly-3#5 payment=tb-m3-5 amount=CNY200
+121d 12:10 | http  | jilin-care | payment.received | pledge=tb-monthly-4#5 payment=tb-m4-5 amount=KRW20,000
+125d 06:00 | http  | jilin-care | pledge.made      | pledge=tb-late-4 donor=giver-12 amount=CNY350
+126d 06:00 | http  | jilin-care | payment.received | pledge=tb-late-4 payment=tb-l4 amount=CNY350
+126d 08:00 | http  | jilin-care | case.delivered   | case=tb-medicine delivery=tb-m-5 amount=CNY2,126
+151d 06:00 | http  | jilin-care | rate.quoted      | currency=KRW rate=0.0052
+151d 12:01 | http  | jilin-care | payment.received | pledge=tb-monthly-1#6 payment=tb-m1-6 amount=CNY600
+151d 12:02 | http  | jilin-care | payment.received | pledge=tb-monthly-2#6 payment=tb-m2-6 amount=CNY400
+151d 12:03 | http  | jilin-care | payment.received | pledge=tb-monthly-3#6 payment=tb-m3-6 amount=CNY200
+151d 12:10 | http  | jilin-care | payment.received | pledge=tb-monthly-4#6 payment=tb-m4-6 amount=KRW20,000
+156d 06:00 | http  | jilin-care | pledge.made      | pledge=tb-late-5 donor=giver-13 amount=CNY200
+157d 06:00 | http  | jilin-care | payment.received | pledge=tb-late-5 payment=tb-l5 amount=CNY200
+158d 01:00 | http  | jilin-care | case.delivered   | case=tb-medicine delivery=tb-m-6 amount=CNY1,700
> Six months of treatment are over. The last delivery, thanks to the steady ones, and the books close on what was asked.
+183d 02:00 | http  | jilin-care | case.thanked     | case=tb-medicine thanks=recovering
+183d 03:00 | http  | jilin-care | case.thanked     | case=tb-talk thanks=not-alone
+184d 01:00 | http  | jilin-care | case.closed      | case=tb-medicine outcome=completed
+184d 01:00 | http  | jilin-care | case.closed      | case=tb-talk outcome=completed
+184d 01:00 | http  | jilin-care | case.closed      | case=tb-other outcome=completed
+184d 01:00 | http  | jilin-care | case.closed      | case=tb-fresh outcome=completed
